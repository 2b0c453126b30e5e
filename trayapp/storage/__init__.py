"""Files without secrets: state.db with its history and timeline, and the installation id."""
