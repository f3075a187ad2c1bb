package rpc

import (
	"context"
	"fmt"
	"net/http"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"

	"github.com/statehouse/statehouse/gen/statehouse/v1/statehousev1connect"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
)

// rule says who may call a procedure. The zero rule lets nobody in.
type rule struct {
	scope access.Scope
	// partial says that one who is restricted to some entities may call it: the procedure sees to the rest.
	partial bool
	// public lets everybody in.
	public bool
	// stream says that it may go on for long: it is one of the streams that the server counts.
	stream bool
}

// policy has the rule of each procedure.
var policy = map[string]rule{
	statehousev1connect.StateServiceGetProcedure:   {scope: access.Read, partial: true},
	statehousev1connect.StateServiceListProcedure:  {scope: access.Read, partial: true},
	statehousev1connect.StateServiceWatchProcedure: {scope: access.Read, partial: true, stream: true},

	statehousev1connect.LogServiceAppendProcedure:    {scope: access.Write, partial: true},
	statehousev1connect.LogServiceReadProcedure:      {scope: access.Read, partial: true, stream: true},
	statehousev1connect.LogServiceSubscribeProcedure: {scope: access.Read, partial: true, stream: true},

	statehousev1connect.TimelineServiceResolveProcedure: {scope: access.Read, partial: true},
	statehousev1connect.TimelineServiceDiffProcedure:    {scope: access.Read, partial: true},
	statehousev1connect.TimelineServiceHistoryProcedure: {scope: access.Read, partial: true, stream: true},
	statehousev1connect.TimelineServiceWhyProcedure:     {scope: access.Read, partial: true},
	statehousev1connect.TimelineServiceDensityProcedure: {scope: access.Read, partial: true},

	statehousev1connect.RegistryServiceListProcedure:       {scope: access.Read, partial: true},
	statehousev1connect.RegistryServiceEditEntityProcedure: {scope: access.Write, partial: true},
	statehousev1connect.RegistryServiceEditDeviceProcedure: {scope: access.Write},
	statehousev1connect.RegistryServiceSetAreaProcedure:    {scope: access.Write},
	statehousev1connect.RegistryServiceRemoveAreaProcedure: {scope: access.Write},

	statehousev1connect.CommandServiceCallProcedure:    {scope: access.Command, partial: true},
	statehousev1connect.CommandServiceActionsProcedure: {scope: access.Read, partial: true},

	statehousev1connect.AdminServiceCreateSnapshotProcedure: {scope: access.Admin},
	statehousev1connect.AdminServiceListSnapshotsProcedure:  {scope: access.Read},
	statehousev1connect.AdminServiceVerifyProcedure:         {scope: access.Admin, stream: true},
	statehousev1connect.AdminServiceCompactProcedure:        {scope: access.Admin, stream: true},
	statehousev1connect.AdminServiceStatsProcedure:          {scope: access.Read},

	"/" + grpcreflect.ReflectV1ServiceName + "/ServerReflectionInfo":      {scope: access.Read, partial: true, stream: true},
	"/" + grpcreflect.ReflectV1AlphaServiceName + "/ServerReflectionInfo": {scope: access.Read, partial: true, stream: true},
	"/" + grpchealth.HealthV1ServiceName + "/Check":                       {public: true},
	"/" + grpchealth.HealthV1ServiceName + "/Watch":                       {public: true}, // is not implemented, and says so
}

// gate keeps out who may not call a procedure, before anything of the request is read but its head.
func gate(ctx context.Context, spec connect.Spec, _ connect.Peer, _ http.Header) (context.Context, error) {
	if err := admit(access.From(ctx), spec.Procedure); err != nil {
		return nil, answerOf(err)
	}
	return ctx, nil
}

// admit says why somebody may not call a procedure.
func admit(who *access.Identity, procedure string) error {
	r := policy[procedure]
	switch {
	case r.public:
		return nil
	case !who.Anybody():
		return &failure{connect.CodeUnauthenticated, api.CodeUnauthenticated,
			"this needs a token, in the header Authorization: Bearer <token>"}
	case !who.Has(r.scope):
		return forbidden("the token %s has not the scope %s", who.Name(), r.scope)
	case !r.partial && !who.Everywhere(r.scope):
		return forbidden("the token %s is for some entities only, and this is about the whole house", who.Name())
	}
	return nil
}

// seenBy is what whoever asks may see.
func seenBy(ctx context.Context) api.May {
	who := access.From(ctx)
	return func(entity string) bool { return who.May(access.Read, entity) }
}

func forbidden(format string, args ...any) error {
	return &failure{connect.CodePermissionDenied, api.CodeForbidden, fmt.Sprintf(format, args...)}
}
