// Package hass is Home Assistant's WebSocket and REST interface to a house, so that its clients work with the house
// unchanged. docs/home-assistant.md says what there is of it.
//
// The same interface is served twice: below /api/ of the present, and below /at/{moment}/api/ of the house as it was,
// where nothing ever changes: states, registries and history are those of the moment, and a subscription gives what there
// is and then nothing.
//
// # Who may do what
//
// REST takes the identity that package access finds in the request's context. A WebSocket authenticates in its first
// message, for which it has ten seconds, and is asked nothing else before. Every command and every route has a policy in
// one table ([commands], [routes]); what is in none is refused. An identity that is restricted to entities learns nothing
// of others: not their ids, nor that something happened to them.
//
// # Slow clients
//
// A connection has one writer at a time and no queue. Each subscription reads the log at its own pace, and waits for the
// writer with one message in its hand, so that a client which takes nothing costs as many messages as it has
// subscriptions, and is dropped after a while. subscribe_entities gives a client that is behind the net change;
// subscriptions of events give every event, read later from the log.
package hass
