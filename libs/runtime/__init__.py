"""Every service is built on settings, database, web application, tokens and loops from here.

`application.create_app` puts the parts together.
"""
