// Package api is what the daemon says over HTTP, as Go types: the server writes them and the commands read them.
//
// Times are RFC 3339 in UTC with up to nine decimals. Positions are JSON numbers; a reader whose numbers are doubles,
// as in JavaScript, sees them exactly up to 2^53, which a log does not reach. What is not known is left out.
package api
