package rpc

import (
	"context"

	"connectrpc.com/connect"

	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
)

type commandService struct{ *Service }

// Call implements CommandService.
func (commandService) Call(context.Context, *statehousev1.CallRequest) (*statehousev1.CallResponse, error) {
	return nil, &failure{connect.CodeUnimplemented, codeUnimplemented, "there are no commands to devices yet"}
}
