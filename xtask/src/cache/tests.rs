//! The cache against real repositories, damaged files and other processes.
