package statehouse

import "errors"

// ErrNotFound means that there is no entity, device or area of that id. The message names it.
var ErrNotFound = errors.New("not found")
