package storage

// SyncDir does nothing: NTFS journals the names in a directory, and Windows has no call for it.
func SyncDir(string) error { return nil }
