"""The choreography: participants, who publishes and who reacts, AsyncAPI documents, drawings."""
