"""What a store holds of a study, what it held under other settings, and what nobody asks for."""
