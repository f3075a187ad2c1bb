package api

// Error is the answer to whatever fails.
type Error struct {
	Error ErrorDetail `json:"error"`
}

// ErrorDetail says what failed.
type ErrorDetail struct {
	// Code is for programs and does not change.
	Code Code `json:"code"`
	// Message is for people: what was wrong, where, and what to do.
	Message string `json:"message"`
}

// Code is a kind of failure.
type Code string

// The codes, and the HTTP status that each comes with.
const (
	CodeInvalid          Code = "invalid"            // 400: what was asked or given makes no sense
	CodeUnauthenticated  Code = "unauthenticated"    // 401: there is no token, or none that is valid
	CodeForbidden        Code = "forbidden"          // 403: the token is not for this, or the request comes from another site's page
	CodeNotFound         Code = "not_found"          // 404: there is no such thing, or no such route
	CodeMethodNotAllowed Code = "method_not_allowed" // 405: the route exists, and not for this method
	CodeConflict         Code = "conflict"           // 409: what the write depends on is not as it says any more; read and decide anew
	CodeInUse            Code = "in_use"             // 409: somebody has it, and there can be one at a time
	CodeCompacted        Code = "compacted"          // 410: the history that is asked for has been removed
	CodeTooLarge         Code = "too_large"          // 413: the body, an event or a batch is over its limit
	CodeUnsupported      Code = "unsupported"        // 422: the entity cannot do that, whatever the values are
	CodeDisabled         Code = "disabled"           // 409: the entity is disabled
	CodeTooManyCommands  Code = "too_many_commands"  // 429: too many commands to the entity wait for their answers
	CodeUnsupportedMedia Code = "unsupported_media"  // 415: the body is not application/json
	CodeWrongHost        Code = "wrong_host"         // 421: the Host header names a host that is not served
	CodeKeyReused        Code = "key_reused"         // 422: the key belongs to another write; a new write needs a new key
	CodeTooManyLogins    Code = "too_many_logins"    // 429: too many logins of the address have failed
	CodeInternal         Code = "internal"           // 500: a defect, which the daemon has logged
	CodeUnknownOutcome   Code = "unknown_outcome"    // 500: the write may or may not have happened; read to learn
	CodeCorrupt          Code = "corrupt"            // 500: what is stored is not what was written
	CodeNotReady         Code = "not_ready"          // 503: the log is being read; try again soon
	CodeUnavailable      Code = "unavailable"        // 503: the store cannot write at present, or a device cannot be reached
	CodeReadOnly         Code = "read_only"          // 503: the log is damaged and can only be read
	CodeClosed           Code = "closed"             // 503: the daemon is about to end
	CodeTooManyStreams   Code = "too_many_streams"   // 503: as many streams are open as may be
)
