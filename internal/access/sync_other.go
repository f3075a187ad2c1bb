//go:build !unix

package access

// syncDir does nothing where directories cannot be synced: the file system keeps its names by itself.
func syncDir(string) error { return nil }
