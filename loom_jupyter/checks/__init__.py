"""Run the user's check on a staged copy: sandboxed, kept warm between candidates, and read for evidence."""
