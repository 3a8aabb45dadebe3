"""A choreography has participants, which publish and react, AsyncAPI documents and drawings."""
