"""What the portal knows: people, what they did, and what happened to each purchase."""
