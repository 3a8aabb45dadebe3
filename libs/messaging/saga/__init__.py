"""These modules describe a choreography: who publishes, who reacts, as AsyncAPI and drawings."""
