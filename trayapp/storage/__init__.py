"""What is kept on disk besides secrets: state.db, the timeline, the installation id."""
