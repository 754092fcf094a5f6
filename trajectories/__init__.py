"""What happened: rollouts, the files they are kept in, and how well they did."""
