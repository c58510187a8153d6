"""Made-up dancers and skeletons with exactly known joints."""
