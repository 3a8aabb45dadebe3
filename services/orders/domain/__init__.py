"""The domain holds orders, the purchases that they start, and the rules of both."""
