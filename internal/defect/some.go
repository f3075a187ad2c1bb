//go:build statehouse_defect

package defect

import "os"

// current is the defect that this process has.
var current = Name(os.Getenv("STATEHOUSE_DEFECT"))

// Is says whether the program has a defect.
func Is(n Name) bool { return n == current }
