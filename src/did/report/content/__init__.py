"""What is said: facts, tables and sentences, made from the tables of the stages."""
