"""The domain holds users, what they did, and what happened to each purchase."""
