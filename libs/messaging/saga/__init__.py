"""The grammar of a choreography: participants, who publishes and who reacts, AsyncAPI, pictures."""
