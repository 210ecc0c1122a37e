"""What makes a long job safe: the plan, segments, the journal, the merge, the cluster."""
