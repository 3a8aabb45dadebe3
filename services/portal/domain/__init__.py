"""The portal's data: users, what they did, and what happened to each purchase."""
