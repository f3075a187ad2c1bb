package server

import (
	"fmt"
	"net/http"
	"time"

	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
)

// clockTolerance is how far the clock may be from the last event before somebody should look.
const clockTolerance = 24 * time.Hour

// getHealthz answers GET /healthz: the process is alive.
func (s *Server) getHealthz(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, struct {
		Status string `json:"status"`
	}{"alive"})
}

// getReadyz answers GET /readyz: 200 when what is asked will be answered and what is said will be recorded.
// Why not is for those who may read.
func (s *Server) getReadyz(w http.ResponseWriter, r *http.Request) error {
	health := s.health()
	status := http.StatusOK
	if health.Status != api.StatusReady {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	}
	if !access.From(r.Context()).Everywhere(access.Read) {
		return writeJSON(w, status, struct {
			Status api.Status `json:"status"`
		}{health.Status})
	}
	return writeJSON(w, status, health)
}

// health says how the daemon does.
func (s *Server) health() api.Health {
	h := s.house.Load()
	if h == nil {
		return api.Health{Status: api.StatusReplaying, Reason: "the log is being read"}
	}
	health := api.Health{Status: api.StatusReady, Position: h.Now().Position()}
	if err := s.opts.Ready(); err != nil {
		health.Status, health.Reason = api.StatusNotReady, err.Error()
	}
	if err := h.Store().Stats().Fault; err != nil {
		health.Status, health.Reason = api.StatusReadOnly, err.Error()
	}
	if err := h.Damage(); err != nil {
		health.Status, health.Reason = api.StatusReadOnly, fmt.Sprintf("the log can only be read, and nothing is recorded: %s; "+
			"stop the daemon and run \"statehouse repair\"", err)
	}
	if s.closing.Err() != nil {
		health.Status, health.Reason = api.StatusClosing, errClosing.Error()
	}
	recovered := h.Recovered()
	if behind := recovered.ClockBehind; behind.Abs() > clockTolerance {
		way := "behind"
		if behind < 0 {
			way = "ahead of"
		}
		health.Warnings = append(health.Warnings, fmt.Sprintf(
			"at the start the clock was %s %s the last recorded event; check the time of this machine",
			behind.Abs().Round(time.Second), way))
	}
	for _, fault := range recovered.Faults {
		health.Warnings = append(health.Warnings, "at the start a snapshot could not be used: "+fault.Error())
	}
	for _, notice := range recovered.Notices {
		health.Warnings = append(health.Warnings, "at the start: "+notice.Error())
	}
	if v := s.opts.Verifier.Verified(); v.Damage != "" {
		health.Warnings = append(health.Warnings, fmt.Sprintf("the database is damaged; a verification has found %d things wrong, the first: %s",
			v.Findings, v.Damage))
	}
	return health
}
