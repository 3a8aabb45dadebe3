"""The base of every service: settings, database, web application, tokens, loops.

`application.create_app` puts the parts together.
"""
