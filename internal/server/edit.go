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
	"github.com/statehouse/statehouse/internal/api"
)

// editSource is the Source of the events that come of writes through the socket.
const editSource = "api:local"

// ownerRoutes are the routes that the unix socket has and TCP has not.
func ownerRoutes(s *Server) []route {
	return []route{
		{method: http.MethodPost, pattern: "/v1/verify", serve: s.withHouse(s.postVerify), stream: true},
		{method: http.MethodPost, pattern: "/v1/compact", serve: s.withHouse(s.postCompact), stream: true},
		{method: http.MethodPatch, pattern: "/v1/entities/{id}", serve: s.withHouse(patchEntity)},
		{method: http.MethodPatch, pattern: "/v1/devices/{id...}", serve: s.withHouse(patchDevice)},
		{method: http.MethodPut, pattern: "/v1/areas/{id}", serve: s.withHouse(putArea)},
		{method: http.MethodDelete, pattern: "/v1/areas/{id}", serve: s.withHouse(deleteArea)},
		{method: http.MethodPost, pattern: "/v1/snapshots", serve: s.withHouse(postSnapshot)},
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
	span, err := h.EditEntity(r.Context(), editSource, id, edit)
	return answerSpan(w, span, err)
}

func patchDevice(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	var edit statehouse.DeviceEdit
	if err := readJSON(r, &edit); err != nil {
		return err
	}
	span, err := h.EditDevice(r.Context(), editSource, r.PathValue("id"), edit)
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
	span, err := h.SetArea(r.Context(), editSource, id, edit.Name)
	return answerSpan(w, span, err)
}

func deleteArea(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength != 0 {
		return invalid("a DELETE request takes no body")
	}
	span, err := h.SetArea(r.Context(), editSource, r.PathValue("id"), "")
	return answerSpan(w, span, err)
}

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
