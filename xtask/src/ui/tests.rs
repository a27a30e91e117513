//! What each style says, and that nothing said can become a command.
