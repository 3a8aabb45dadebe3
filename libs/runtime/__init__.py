"""What every service stands on: settings, database, web application, tokens, loops.

`application.create_app` puts the parts together.
"""
