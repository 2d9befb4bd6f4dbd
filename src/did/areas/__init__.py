"""Areas as publishers have them, made into units that stay the same: boundaries, succession, membership and waves."""
