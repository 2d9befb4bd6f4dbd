"""Figures, tables and pages made from the stages' tables; nothing here estimates anything."""
