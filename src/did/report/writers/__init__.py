"""Writers: one kind of file each."""
