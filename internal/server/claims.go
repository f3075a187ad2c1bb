package server

import (
	"net/http"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/mqtt"
)

// postClaims answers POST /v1/mqtt/claims: who does something with the messages of topics. It changes nothing; topics are too
// many for a query. The names of a broker's topics are for who looks after the house alone.
func (s *Server) postClaims(_ *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	if s.opts.Claims == nil {
		return notFound("this server takes nothing in over MQTT, so that it cannot say who claims a topic")
	}
	var query api.ClaimsQuery
	if err := readJSON(r, &query); err != nil {
		return err
	}
	if n := len(query.Topics); n < 1 || n > api.MaxClaimTopics {
		return invalid("%d topics are asked about; write from 1 to %d into topics, and ask again about others", n, api.MaxClaimTopics)
	}
	for i, topic := range query.Topics {
		if err := mqtt.ValidTopic(topic); err != nil {
			return invalid("topics[%d]: %v", i, err)
		}
	}
	return writeJSON(w, http.StatusOK, api.NewClaims(query.Topics, s.opts.Claims))
}
