package cli

import (
	"fmt"

	"github.com/statehouse/statehouse/state"
)

// diffStates says how two revisions differ, empty if they do not.
func diffStates(a, b state.Revision) string {
	as, bs := a.Sorted(), b.Sorted()
	if len(as) != len(bs) {
		return fmt.Sprintf("%d and %d states", len(as), len(bs))
	}
	for i := range as {
		x, y := as[i], bs[i]
		if x.EntityID != y.EntityID || x.Position != y.Position || !x.UpdatedAt.Equal(y.UpdatedAt) ||
			!x.ChangedAt.Equal(y.ChangedAt) || x.UpdatedBy != y.UpdatedBy || !state.Equal(x.Attributes, y.Attributes) {
			return fmt.Sprintf("%v and %v", x, y)
		}
	}
	return ""
}
