package broker

import "syscall"

// unmap takes the pages of a mapped file out of the process's memory. They stay in the kernel's, and come back where they are touched.
func unmap(address, length uintptr) {
	// It may fail, and then nothing is given back.
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, address, length, syscall.MADV_DONTNEED)
}
