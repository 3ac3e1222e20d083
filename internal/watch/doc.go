// Package watch lists and watches one resource of an API server, through whatever happens to the connection, and says when
// that fails for longer than a moment. Without that, what was known once would look true for ever.
//
// It does what client-go's Reflector does, for those who watch a thousand clusters that others run:
//
//   - A watch that is idle is one goroutine with a small stack, an HTTP/2 stream and no buffer; nothing of a list is kept.
//   - Lists come in pages, one object in memory at a time where they are JSON, and end at a limit; no event is larger than
//     another. See package limits.
//   - Resource.Trim cuts an object down as soon as it has been decoded, which may be as a type of client-go (protobuf), as
//     unstructured, or its metadata alone (Typed, Unstructured, Metadata).
//   - A panic over what a server said is a failure of that watch, not of the process. See package guard.
//   - A watch that has had bookmarks and then says nothing at all is begun again, so that one may last for an hour.
//
// What happened while no watch was open comes with the next, from the version on that was seen last. Where the server
// cannot tell any more, all is listed again: Sink.Replace. It is safe to be told the same twice.
//
// # One member
//
// Whoever watches many resources of a member makes one client, bounds how many pages are in memory, and ends all watches
// with a context. A resource that is too large for the hub is told at once, and may end the session:
//
//	client, err := watch.NewClient(cfg)
//	pages := make(chan struct{}, 2)
//	go watch.Run(ctx, watch.Resource[*unstructured.Unstructured, *object]{
//		Name:   member + "/" + gvr.Resource,
//		Source: watch.REST[*unstructured.Unstructured]{Client: client, Path: watch.Path(gvr, ""), Format: watch.Unstructured()},
//		Labels: kinds.ManagedSelector(gr),
//		Trim:   session.cut(gr), // all of what the hub has a template for, of the rest the mark
//		Weigh:  (*object).weight,
//		Limits: limits.Limits{Objects: 250_000, Bytes: 768 << 20},
//		Pages:  pages,
//		Clock:  clock,
//		Into:   watch.Sink[*object]{Replace: sink.replace, Apply: sink.apply, Remove: sink.remove},
//		Told: func(err error) {
//			var large *limits.TooLarge
//			var many *limits.Exceeded
//			if errors.As(err, &large) || errors.As(err, &many) {
//				session.exceed(err)
//			}
//			session.setUnread(gr, err)
//		},
//	})
//
// To look at a resource of which only the metadata counts, the format is Metadata, and O *metav1.PartialObjectMetadata.
package watch
