"""Simulates the whole choreography in one process: real reactions and use cases over memory, a
broker that delivers in any order, and processes that crash at any commit.
"""
