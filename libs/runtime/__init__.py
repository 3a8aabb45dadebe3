"""What every service stands on: settings, database, web application, tokens, loops.

`service.create_app` puts the parts together.
"""
