"""What every service stands on: settings, database, web application, tokens, loops.

`service.create_app` is the place where it all comes together.
"""
