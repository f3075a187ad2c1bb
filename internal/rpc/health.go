package rpc

import (
	"context"
	"fmt"
	"slices"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"

	"github.com/statehouse/statehouse/internal/api"
)

// health tells whoever asks whether there is a house.
type health struct{ s *Service }

// Check implements [grpchealth.Checker].
func (c health) Check(_ context.Context, req *grpchealth.CheckRequest) (*grpchealth.CheckResponse, error) {
	if req.Service != "" && !slices.Contains(services, req.Service) {
		return nil, &failure{connect.CodeNotFound, api.CodeNotFound, fmt.Sprintf("there is no service %.60q", req.Service)}
	}
	status := grpchealth.StatusServing
	if c.s.opts.House() == nil {
		status = grpchealth.StatusNotServing
	}
	return &grpchealth.CheckResponse{Status: status}, nil
}
