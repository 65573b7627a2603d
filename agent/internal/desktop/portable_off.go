package desktop

func openPortable(o Options) (Desktop, error) { return nil, ErrNoDisplay }
