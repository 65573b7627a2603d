DROP TABLE IF EXISTS key_rotations;
