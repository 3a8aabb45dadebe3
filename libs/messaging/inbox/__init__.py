"""These modules consume a queue's messages in transactions, so that each message has one effect."""
