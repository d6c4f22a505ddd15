"""What-if studies: several results beside each other, and tables of one model or collective."""
