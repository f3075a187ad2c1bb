package powercut

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/statehouse/statehouse/internal/faults/load"
)

// checkProgram starts the program on an image, waits until it says that it can read and write, and stops it.
func checkProgram(ctx context.Context, root, db, binary string) error {
	d, err := load.Start(ctx, load.Options{Binary: binary, DB: db, Root: root})
	if d == nil {
		return err
	}
	if err == nil {
		err = ready(ctx, d.HTTP)
	}
	d.Stop()
	r, ended := d.Wait()
	if err == nil && ended == nil && (!r.Status.Exited() || r.Status.ExitStatus() != 0) {
		err = fmt.Errorf("it ended with %v", r.Status)
	}
	if err := errors.Join(err, ended); err != nil {
		return fmt.Errorf("%w\n%s", err, d.Log())
	}
	return nil
}

// ready asks the program whether it is.
func ready(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("readyz: %s: %s", res.Status, text)
	}
	return err
}
