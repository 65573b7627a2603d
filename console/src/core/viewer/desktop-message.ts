import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ToDesktopSchema } from '../wire/oriel/v1/channel_pb';

/** What a viewer says to a computer on the control channel. */
export type DesktopMessage = Exclude<MessageInitShape<typeof ToDesktopSchema>['body'], undefined>;
