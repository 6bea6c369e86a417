"""The memory-mapped bank of rays: its reader and its writer."""
