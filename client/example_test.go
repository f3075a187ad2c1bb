package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/client"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/rpc"
)

// daemon stands for a daemon elsewhere.
func daemon() (url string, end func()) {
	dir, err := os.MkdirTemp("", "statehouse")
	if err != nil {
		log.Fatal(err)
	}
	house, err := statehouse.Open(filepath.Join(dir, "home.db"))
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	for prefix, handler := range rpc.New(rpc.Options{House: func() *statehouse.House { return house }}).Handlers() {
		mux.Handle(prefix, handler)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r.WithContext(access.With(r.Context(), access.Owner())))
	}))
	return server.URL, func() {
		server.Close()
		_ = house.Close()
		_ = os.RemoveAll(dir)
	}
}

func lamp(on bool) eventstore.Event {
	return eventstore.Event{Entity: "light.desk", Payload: &eventv1.Payload{Kind: &eventv1.Payload_StateChanged{
		StateChanged: &eventv1.StateChanged{Attributes: &entityv1.Attributes{
			Domain: &entityv1.Attributes_Light{Light: &entityv1.Light{On: &on}},
		}},
	}}}
}

func Example() {
	url, end := daemon()
	defer end()
	house, err := client.Dial(url)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer house.Close()
	ctx := context.Background()

	// Nobody else has said anything of the lamp yet.
	unheardOf := []eventstore.Condition{eventstore.EntityAt("light.desk", 0)}
	if _, err := house.Append(ctx, eventstore.Batch{Events: []eventstore.Event{lamp(true)}, If: unheardOf}); err != nil {
		fmt.Println(err)
		return
	}
	_, err = house.Append(ctx, eventstore.Batch{Events: []eventstore.Event{lamp(false)}, If: unheardOf})
	fmt.Println("again:", errors.Is(err, eventstore.ErrConflict))

	for update, err := range house.Watch(ctx, client.Selection{Domains: []string{"light"}}, client.Cursor{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, e := range update.Entities {
			fmt.Println(e.EntityID, "is", e.Text)
		}
		if !update.Whole {
			break
		}
		if _, err := house.Append(ctx, eventstore.Batch{Events: []eventstore.Event{lamp(false)}}); err != nil {
			fmt.Println(err)
			return
		}
	}
	// Output:
	// again: true
	// light.desk is on
	// light.desk is off
}
