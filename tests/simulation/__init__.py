"""The whole choreography in one process: real reactions and use cases over memory, a broker that
delivers in any order, processes that die at the worst moment.
"""
