import java.io.File;
import org.eclipse.jgit.api.Git;
import org.eclipse.jgit.transport.PushResult;
import org.eclipse.jgit.transport.RefSpec;
import org.eclipse.jgit.transport.RemoteRefUpdate;

/* JgitPush DIR URL REFSPEC: push with JGit, through the ssh of $GIT_SSH. */
public class JgitPush {
	public static void main(String[] args) throws Exception {
		boolean ok = true;

		try (Git git = Git.open(new File(args[0]))) {
			for (PushResult result : git.push().setRemote(args[1])
					.setRefSpecs(new RefSpec(args[2])).call()) {
				System.out.print(result.getMessages());
				for (RemoteRefUpdate u : result.getRemoteUpdates()) {
					System.out.println(u.getStatus() + " "
							+ u.getRemoteName() + " "
							+ u.getMessage());
					ok &= u.getStatus()
						== RemoteRefUpdate.Status.OK;
				}
			}
		}
		System.exit(ok ? 0 : 1);
	}
}
