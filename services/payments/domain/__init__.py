"""The domain holds the payment with its states, and the events and errors of payments."""
