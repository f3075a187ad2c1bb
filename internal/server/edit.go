package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
)

// editRoutes are those that change what is in the house, and what it is called.
func editRoutes(s *Server) []route {
	edit := func(method, pattern string, f houseHandler, partial bool) route {
		return route{method: method, pattern: pattern, serve: s.withHouse(f), scope: access.Write, partial: partial}
	}
	return []route{
		edit(http.MethodPatch, "/v1/entities/{id}", patchEntity, true),
		edit(http.MethodPatch, "/v1/devices/{id...}", patchDevice, false),
		edit(http.MethodPut, "/v1/areas/{id}", putArea, false),
		edit(http.MethodDelete, "/v1/areas/{id}", deleteArea, false),
	}
}

// adminRoutes are those that look after the store.
func adminRoutes(s *Server) []route {
	return []route{
		{method: http.MethodPost, pattern: "/v1/verify", serve: s.withHouse(s.postVerify), stream: true, scope: access.Admin},
		{method: http.MethodPost, pattern: "/v1/compact", serve: s.withHouse(s.postCompact), stream: true, scope: access.Admin},
		{method: http.MethodPost, pattern: "/v1/snapshots", serve: s.withHouse(postSnapshot), scope: access.Admin},
		{method: http.MethodPost, pattern: "/v1/mqtt/claims", serve: s.withHouse(s.postClaims), scope: access.Admin},
		{method: http.MethodGet, pattern: "/v1/tokens", serve: s.withTokens(s.getTokens), scope: access.Admin},
		{method: http.MethodPost, pattern: "/v1/tokens", serve: s.withTokens(s.postToken), scope: access.Admin},
		{method: http.MethodPost, pattern: "/v1/tokens/{name}/rotate", serve: s.withTokens(s.rotateToken), scope: access.Admin},
		{method: http.MethodDelete, pattern: "/v1/tokens/{name}", serve: s.withTokens(s.deleteToken), scope: access.Admin},
	}
}

func patchEntity(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if err := eventstore.CheckEntityID(id); err != nil {
		return err
	}
	var edit statehouse.EntityEdit
	if err := readJSON(r, &edit); err != nil {
		return err
	}
	who := access.From(r.Context())
	if !who.May(access.Write, id) || edit.ID != nil && !who.May(access.Write, *edit.ID) {
		return forbidden("the token may not change %s, or give it this id", id)
	}
	if edit.AreaID != nil && !who.Everywhere(access.Write) {
		return forbidden("the token is for some entities only, and may not move any to an area")
	}
	span, err := h.EditEntity(r.Context(), sourceOf(r), id, edit)
	return answerSpan(w, span, err)
}

func patchDevice(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	var edit statehouse.DeviceEdit
	if err := readJSON(r, &edit); err != nil {
		return err
	}
	span, err := h.EditDevice(r.Context(), sourceOf(r), r.PathValue("id"), edit)
	return answerSpan(w, span, err)
}

func putArea(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	// The form of an entity's name, so that every area can be part of one.
	if eventstore.CheckEntityID("area."+id) != nil {
		return invalid("%.60q is no id of an area: it has a-z, 0-9 and _, as in living_room", id)
	}
	var edit api.AreaEdit
	if err := readJSON(r, &edit); err != nil {
		return err
	}
	if strings.TrimSpace(edit.Name) == "" {
		return invalid("the area needs a name; DELETE removes it")
	}
	span, err := h.SetArea(r.Context(), sourceOf(r), id, edit.Name)
	return answerSpan(w, span, err)
}

func deleteArea(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength != 0 {
		return invalid("a DELETE request takes no body")
	}
	span, err := h.SetArea(r.Context(), sourceOf(r), r.PathValue("id"), "")
	return answerSpan(w, span, err)
}

// sourceOf is the Source of the events that come of a request.
func sourceOf(r *http.Request) string { return access.From(r.Context()).Source() }

// answerSpan answers where a write's events are.
func answerSpan(w http.ResponseWriter, span eventstore.Span, err error) error {
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, api.Span{First: span.First, Last: span.Last})
}

// readJSON reads a request's body into v: one object with the fields of v, and nothing else.
func readJSON(r *http.Request, v any) error {
	if p := newParams(r); p.err != nil {
		return p.err
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" || r.Header.Get("Content-Encoding") != "" {
		return &failure{
			status: http.StatusUnsupportedMediaType, code: api.CodeUnsupportedMedia,
			message: "the body must be JSON, with Content-Type: application/json and no Content-Encoding",
		}
	}
	body, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &failure{
			status: http.StatusRequestEntityTooLarge, code: api.CodeTooLarge,
			message: fmt.Sprintf("the body has more than %d bytes", tooLarge.Limit),
		}
	}
	if err != nil {
		return invalid("the body cannot be read: %v", err)
	}
	// The body may have come long after the head.
	if err := access.From(r.Context()).Ended(); err != nil {
		return err
	}
	if !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
		return invalid("the body is not a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return invalid("the body is not what is expected here: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return invalid("something follows the JSON object in the body")
	}
	return nil
}
